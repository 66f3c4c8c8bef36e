FROM localhost/debian
ARG SOURCE_DATE_EPOCH=315532800
COPY package /p
RUN chmod 755 /p/DEBIAN/postinst && dpkg-deb --root-owner-group -b /p /p.deb && dpkg -i /p.deb && rm -r /p /p.deb
RUN echo changed >> /etc/tiny.conf && dpkg -r tiny && test -e /etc/tiny.conf
