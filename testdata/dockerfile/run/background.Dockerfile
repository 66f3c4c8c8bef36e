FROM localhost/busybox
RUN sleep 2 > /dev/null 2>&1 & echo begun > /begun
RUN (trap '' HUP TERM; sleep 2; :) > /dev/null 2>&1 & (echo in; exit 3) > /out; echo $? >> /out
RUN cat /begun > /seen
