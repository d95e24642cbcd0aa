# terraform_data is built into terraform: the example plans and applies without
# a provider, an account or a network.
resource "terraform_data" "cluster" {
  input = {
    name    = var.cluster_name
    version = var.kubernetes_version
    region  = var.region
  }
}

resource "terraform_data" "node_group" {
  input = {
    cluster       = terraform_data.cluster.output.name
    instance_type = var.node_instance_type
    count         = var.node_count
  }
}
