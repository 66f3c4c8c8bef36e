FROM localhost/debian
COPY tree /tree
RUN install -d -o 3 -g 4 -m 2755 /i/d && install -o www-data -m 640 /tree/a.txt /i/a && install -Dm755 /tree/b.txt /i/new/b
RUN cp -a /usr/bin/perl /usr/bin/perl-copy && ln /i/a /i/b && sed -i 's/line/x/' /i/a && perl -pi -e 's/line/y/' /i/b && ln -f /i/a /i/new/b
RUN cp -al /tree /linked && chmod 600 /linked/a.txt && mv -T /linked /tree2 && mv /tree2/b.txt /tree2/c.txt
