#compdef bitops-compose
# Completions of bitops-compose for zsh. The program itself says what can follow.
_bitops_compose() {
    local value about
    local -a begun values shown
    while IFS=$'\t' read -r value about; do
        # What goes on behind these is part of the same word.
        if [[ $value == *[/=@:] ]]; then
            begun+=("$value")
        elif [[ -n $value ]]; then
            values+=("$value")
            shown+=("$value${about:+  -- $about}")
        fi
    done < <("${(Q)words[1]}" __complete zsh "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#begun )) && compadd -V begun -S '' -a begun
    (( $#values )) && compadd -V values -l -d shown -a values
    (( $#begun + $#values ))
}
if [[ $funcstack[1] == _bitops-compose ]]; then
    _bitops_compose "$@"
else
    compdef _bitops_compose bitops-compose
fi
