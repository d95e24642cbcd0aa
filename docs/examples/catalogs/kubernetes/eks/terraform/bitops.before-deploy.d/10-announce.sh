#!/usr/bin/env bash
# Runs in the deployment's directory, before terraform.
set -euo pipefail
echo "eks: about to deploy from $(basename "$PWD")"
