#include "base/sha256.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "base/strings.h"

namespace datamanager {
namespace {

// Looked up once: that takes longer than to hash a small file.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* const openssl = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(openssl); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  EVP_DigestInit_ex(context_->openssl, Algorithm(), nullptr);
}

Sha256::~Sha256() = default;

void Sha256::Update(std::string_view bytes) {
  EVP_DigestUpdate(context_->openssl, bytes.data(), bytes.size());
}

std::string Sha256::Finish() {
  std::string digest(kBytes, '\0');
  EVP_DigestFinal_ex(context_->openssl, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

std::string Sha256::Of(std::string_view bytes) {
  std::string digest(kBytes, '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             Algorithm(), nullptr);
  return digest;
}

std::string ToHex(std::string_view bytes) { return absl::BytesToHexString(ToAbsl(bytes)); }

}  // namespace datamanager
