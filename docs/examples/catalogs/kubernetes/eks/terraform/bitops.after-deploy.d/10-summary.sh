#!/usr/bin/env bash
# Runs in the deployment's directory, after terraform has succeeded.
set -euo pipefail
echo "eks: the cluster is ready for its charts"
