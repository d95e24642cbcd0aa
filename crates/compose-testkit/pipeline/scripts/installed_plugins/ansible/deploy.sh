#!/usr/bin/env bash
# A stand-in: prints ansible's command, and lists the files that it would read.
set -euo pipefail
cd "$BITOPS_OPSREPO_ENVIRONMENT_DIR"
echo "ansible-playbook $BITOPS_ANSIBLE_CLI in $(basename "$BITOPS_ENVROOT")/$(basename "$PWD")"
find . -type f | LC_ALL=C sort | sed 's/^/  /'
[ -z "${STANDIN_STATE:-}" ] || python3 "$BITOPS_SCRIPTS_DIR/tool.py" "$BITOPS_PLUGIN_NAME"
