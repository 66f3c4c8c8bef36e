FROM localhost/busybox
WORKDIR /w
SHELL ["/bin/none"]
RUN <<EOF
#!/bin/awk -f
BEGIN { print "from awk" > "awk.txt" }
EOF
RUN <<"EOF"
#!/bin/sh
echo "${0##*/} $#" > sh.txt
EOF
