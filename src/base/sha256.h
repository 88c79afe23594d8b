// SHA-256 (FIPS 180-4), computed by OpenSSL.
#ifndef DATAMANAGER_SRC_BASE_SHA256_H_
#define DATAMANAGER_SRC_BASE_SHA256_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace datamanager {

// One thread at a time.
class Sha256 {
 public:
  static constexpr size_t kBytes = 32;

  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes);
  // The digest of all bytes so far: kBytes, not in hexadecimal. Once.
  std::string Finish();

  static std::string Of(std::string_view bytes);

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

// Lower case, two digits a byte.
std::string ToHex(std::string_view bytes);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_SHA256_H_
