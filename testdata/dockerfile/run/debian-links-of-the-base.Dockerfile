FROM localhost/debian
RUN test -e /etc/test-image && echo '# more' >> /usr/bin/perl5.36.0
RUN chmod 700 /usr/bin/uncompress && ln /usr/bin/gunzip /usr/bin/third
