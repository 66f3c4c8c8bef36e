export const handler = async (event) => ({
  message: "hello from node",
  nonce: event.nonce,
  node: process.versions.node,
  machine: process.arch,
});
