// A package with machine code, small enough that every machine's may be fetched.
const watcher = require("@parcel/watcher");

exports.handler = async (event) => ({ watches: typeof watcher.subscribe, echo: event });
