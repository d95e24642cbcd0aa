variable "cluster_name" {
  description = "The cluster's name; the helm charts' cluster-name refers to it."
  type        = string
  default     = "bitops"
}

variable "kubernetes_version" {
  description = "The control plane's minor version."
  type        = string
  default     = "1.31"
}

variable "region" {
  description = "The region that the cluster runs in."
  type        = string
  default     = "us-east-1"
}

variable "node_instance_type" {
  description = "The machine type of the nodes."
  type        = string
  default     = "t3.large"
}

variable "node_count" {
  description = "How many nodes the node group holds."
  type        = number
  default     = 3
}
