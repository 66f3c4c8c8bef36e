# RUN lines that need no process, and some that do.
FROM public.ecr.aws/lambda/provided:al2023
ARG DIR=/opt/a
ENV EXTRA="x y"
RUN mkdir -p -m 0750 $DIR && cd $DIR && touch "$EXTRA" $EXTRA # comment
RUN set -e; echo "v=1" > ver; \
    rm -rf *.txt 'a b' /tmp/none*
RUN ["mkdir", "$DIR"]
RUN <<EOF
printf '%s\n' a b >> f
find . -name '*.sh' -exec chmod 744 {} \;
EOF
RUN addgroup --system --gid 1001 nodejs && adduser --system --uid 1001 nextjs
RUN --mount=type=cache,target=/root/.cache chmod 755 f
RUN --mount=type=cache,target=/root/.cache rm -rf /root/.cache/x
RUN --mount=type=bind,target=/src cp /src/a .
RUN mkdir a || true
USER 1000
RUN mkdir b
SHELL ["/bin/zsh", "-c"]
USER 0
RUN mkdir c
