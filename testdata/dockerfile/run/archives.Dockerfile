FROM localhost/busybox
COPY tree /tree
RUN chown -R 7:8 /tree && chmod 4711 /tree/a.txt && tar -cf /t.tar -C /tree . && mkdir /x && tar -xpf /t.tar -C /x && rm /t.tar
RUN gzip -n /x/b.txt && zcat /x/b.txt.gz > /x/b2 && cd /tree && find . | sort | cpio -o -H newc 2>/dev/null > /c && mkdir /y && cd /y && cpio -id < /c 2>/dev/null && rm /c
