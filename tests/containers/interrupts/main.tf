terraform {
  backend "local" {
    path = "/out/state/terraform.state"
  }
}

resource "terraform_data" "first" {
  input = "created at once"
}

resource "terraform_data" "held" {
  depends_on = [terraform_data.first]

  provisioner "local-exec" {
    command = "touch /out/state/held; while [ -e /out/state/terraform.hold ]; do sleep 0.05; done"
  }
}
