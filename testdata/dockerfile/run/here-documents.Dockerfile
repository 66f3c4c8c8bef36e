FROM localhost/busybox
ARG NAME=world
WORKDIR /w
RUN <<EOF
set -e
greeting="hello"
echo "$greeting $NAME" > out.txt
# a comment of the shell
EOF
RUN cat <<A > a.txt && cat <<'B' > b.txt
first $NAME
A
second $NAME
B
RUN <<-EOF
	echo tabs > tabs.txt
EOF
