FROM localhost/busybox
COPY tree /tree
RUN find /tree -name '*.txt' -exec sed -i 's/line/row/; $d' {} +
RUN awk '{ print NR ": " $0 }' /tree/a.txt > /tree/numbered && find /tree -type d -empty -exec rmdir {} +
RUN find /tree -name 'b*' | xargs rm && ls -1 /tree | sort -r > /names
