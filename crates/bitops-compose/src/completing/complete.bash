# shellcheck shell=bash
# Completions of bitops-compose for bash. The program itself says what can follow.
_bitops_compose() {
    COMPREPLY=()
    local candidate
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <("$1" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    # What goes on behind these is part of the same word.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=@:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -F _bitops_compose bitops-compose
