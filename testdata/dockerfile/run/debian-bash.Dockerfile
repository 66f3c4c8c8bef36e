FROM localhost/debian
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /w
RUN mapfile -t lines < <(printf 'a\nb\n'); printf '%s\n' "${lines[@]^^}" > lines; (false | true) || echo piped > pipe
RUN [[ abc =~ ^a(.)c$ ]] && echo "${BASH_REMATCH[1]}" > match; declare -A m=([k]=v); echo "${m[k]}" >> match; diff <(echo 1) <(echo 2) > diff || true
RUN touch x1 x2 .y; echo $'tab\there' > tab; rm x{1,2}; ls -A {pipe,tab} > braces
