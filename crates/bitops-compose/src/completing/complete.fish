# Completions of bitops-compose for fish. The program itself says what can follow.
function __bitops_compose_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    command $words[1] __complete fish $words "$current" 2>/dev/null
end
complete --command bitops-compose --no-files --keep-order --arguments '(__bitops_compose_complete)'
