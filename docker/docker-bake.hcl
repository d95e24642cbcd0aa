# The image for several platforms, from the repo's root:
#
#   docker buildx bake -f docker/docker-bake.hcl --push
#
# Each variable is taken from the environment. Official BitOps images are for linux/amd64 alone: another platform needs a
# BITOPS_IMAGE of your own that has it.
variable "TAG" {
  default = "bitops-compose"
}

variable "PLATFORMS" {
  default = "linux/amd64,linux/arm64"
}

variable "BITOPS_IMAGE" {
  default = "bitovi/bitops:2.6.0"
}

variable "BITOPS_DIGEST" {
  default = ""
}

variable "BITOPS_COMPOSE_COMMIT" {
  default = ""
}

group "default" {
  targets = ["image"]
}

target "image" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  tags       = [TAG]
  platforms  = split(",", PLATFORMS)
  args = {
    BITOPS_IMAGE          = BITOPS_IMAGE
    BITOPS_DIGEST         = BITOPS_DIGEST
    BITOPS_COMPOSE_COMMIT = BITOPS_COMPOSE_COMMIT
  }
}
