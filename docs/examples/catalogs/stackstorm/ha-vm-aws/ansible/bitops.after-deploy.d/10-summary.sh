#!/usr/bin/env bash
# Runs in the deployment's directory, after the playbook has succeeded.
set -euo pipefail
echo "stackstorm: configured by $(basename "$PWD")"
