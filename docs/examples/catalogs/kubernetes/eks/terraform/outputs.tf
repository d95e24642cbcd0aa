output "cluster_name" {
  description = "The cluster's name."
  value       = terraform_data.cluster.output.name
}

output "node_count" {
  description = "How many nodes the node group holds."
  value       = terraform_data.node_group.output.count
}
