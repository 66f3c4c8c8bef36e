FROM a AS p
CMD ["c"]
FROM p
ENTRYPOINT ["e"]
