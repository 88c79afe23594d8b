// Content, known by its hash.
#ifndef DATAMANAGER_TESTS_SUPPORT_SHA256_H_
#define DATAMANAGER_TESTS_SUPPORT_SHA256_H_

#include <openssl/sha.h>

#include <string>
#include <string_view>

#include "absl/strings/escaping.h"

namespace datamanager::testing {

// In hexadecimal.
inline std::string Sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return absl::BytesToHexString(digest);
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_SHA256_H_
