# args: translate=always
FROM scratch
RUN <<-EOF
	mkdir a
		curl x
EOF
