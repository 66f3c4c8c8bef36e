# syntax=docker/dockerfile:1
FROM public.ecr.aws/lambda/python:3.12
ARG NAME=world
ENV STAGE=prod
COPY <<EOF config.ini
name=${NAME}
stage="$STAGE" # not a comment
literal=\$NAME
name=${NAME}
stage="$STAGE" # not a comment
literal=\$NAME
EOF
COPY <<'RAW' <<-TABS conf/
value=${NAME}
RAW
	tabbed
	  two blanks
	TABS
COPY --chmod=0755 <<"EOF" run.sh
#!/bin/sh
echo "$1"
EOF
RUN <<EOF
set -e
echo "$greeting $NAME" > out.txt
EOF
RUN cat <<A > a.txt && cat <<B > b.txt
first $NAME
A
second
B
RUN <<EOF
#!/bin/sh
echo shebang > c.txt
EOF
CMD ["app.handler"]
