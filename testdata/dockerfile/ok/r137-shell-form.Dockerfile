FROM a
CMD node  server.js
