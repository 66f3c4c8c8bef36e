# Both are known in the plan already, and depend on the push.

output "image_uri" {
  description = "URI of the image for the function's image_uri: by its digest, or by its tag if use_image_tag is set"
  value       = var.use_image_tag ? "${data.external.image.result.repository}:${data.external.image.result.tag}" : data.external.image.result.image_uri
  depends_on  = [terraform_data.push]
}

output "image_id" {
  description = "Digest of the image"
  value       = data.external.image.result.digest
  depends_on  = [terraform_data.push]
}
