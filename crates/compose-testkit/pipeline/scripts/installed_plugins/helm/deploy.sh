#!/usr/bin/env bash
# A stand-in: prints helm's commands, with one release per chart and the chart's own hooks around it.
set -euo pipefail

run_hooks() {
  local hook
  for hook in "$1"/*; do
    [ -f "$hook" ] || continue
    echo "HOOK ${hook#"$BITOPS_ENVROOT"/}"
    (cd "$(dirname "$1")" && bash "$hook")
  done
}

for chart in "$BITOPS_OPSREPO_ENVIRONMENT_DIR"/*/; do
  chart=${chart%/}
  [ -d "$chart" ] || continue
  name=$(basename "$chart")
  [ "$name" != "$BITOPS_DEFAULT_ROOT_DIR" ] || continue
  [ -f "$chart/bitops.config.yaml" ] || { echo "the chart $name has no bitops.config.yaml" >&2; exit 2; }
  run_hooks "$chart/bitops.before-deploy.d"
  values=
  for file in "$BITOPS_TEMPDIR/$BITOPS_DEFAULT_ROOT_DIR/helm/$name/values.yaml" "$chart"/values.yaml "$chart"/values-files/*; do
    [ ! -f "$file" ] || values+=" -f ${file#"$BITOPS_TEMPDIR"/}"
  done
  echo "helm upgrade --install $name ${chart#"$BITOPS_TEMPDIR"/}$values"
  [ -z "${STANDIN_STATE:-}" ] || python3 "$BITOPS_SCRIPTS_DIR/tool.py" helm
  (cd "$chart" && find . -type f | LC_ALL=C sort | sed 's/^/  /')
  run_hooks "$chart/bitops.after-deploy.d"
done
