FROM localhost/busybox
WORKDIR /s
RUN for i in 1 2 3; do echo $i; done | tee three | wc -l > count; [ -s three ] && ! [ -e none ]
RUN { echo a; echo b >&2; } > out 2> err; ( exit 4 ) || echo "$?" > status; echo "${PWD##*/}" `echo back` $((6 * 7)) > expanded
RUN f() { echo "in $1"; }; f function > f; case abc in a*) echo case > c;; esac; x=; : "${x:=default}"; echo "$x" > x; \
    # a comment of the Dockerfile
    echo joined \
    >> x
RUN echo * > globs; set -- a b; echo $# "$@" >> globs; eval 'echo evaluated' >> globs
