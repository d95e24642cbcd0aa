# terraform_data is built into terraform: the example plans and applies without
# a provider, an account or a network.
terraform {
  required_version = ">= 1.4"
}

variable "machine_count" {
  description = "How many machines StackStorm is spread over."
  type        = number
  default     = 3
}

variable "instance_type" {
  description = "The machine type."
  type        = string
  default     = "m5.large"
}

resource "terraform_data" "machine" {
  count = var.machine_count

  input = {
    name          = "stackstorm-${count.index}"
    instance_type = var.instance_type
  }
}

output "machines" {
  description = "The machines' names, for ansible."
  value       = terraform_data.machine[*].output.name
}
