FROM localhost/busybox
WORKDIR /n
RUN touch "with blank" 'quote"s' 'back\slash' -- "-dash" "ünïcödé" "日本語" " lead" "trail " "*" "a:b" "#" ".hidden" "..."
RUN long=$(printf 'x%.0s' $(seq 200)) && mkdir -p "$long/$long" && echo deep > "$long/$long/$long" && ln -s "$long/$long/$long" link && ln "$long/$long/$long" hard
RUN printf 'name' > "$(printf 'new\nline')" && printf 'name' > "$(printf 'invalid\377byte')"
