#!/usr/bin/env bash
# The helm plugin runs a chart's own hooks; this one runs before istiod is installed.
set -euo pipefail
for namespace in ${ISTIO_NAMESPACES:-default}; do
  echo "istio: sidecars will be injected into the namespace $namespace"
done
