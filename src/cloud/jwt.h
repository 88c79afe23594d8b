// How long a token is good, as far as it says so itself.
#ifndef DATAMANAGER_SRC_CLOUD_JWT_H_
#define DATAMANAGER_SRC_CLOUD_JWT_H_

#include <chrono>
#include <optional>
#include <string_view>

#include "datamanager/clock.h"

namespace datamanager::cloud {

// The times in a JSON Web Token, in seconds since 1970 by the clock of whoever issued it.
struct JwtTimes {
  double expires = 0;            // `exp`.
  std::optional<double> issued;  // `iat`.
};

// Reads them without verifying the token, which is the server's business; nullopt for what is no
// such token, or has no `exp`. Pure.
std::optional<JwtTimes> ReadJwtTimes(std::string_view token);

// How long a token received at `now` is good, or nullopt if that cannot be told. `iat` tells it
// whatever our own clock says. Without it our clock has to do, and is believed only in what would
// not have us renew the token all the time. Pure.
std::optional<std::chrono::milliseconds> Lifetime(const JwtTimes& times, WallTime now);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_JWT_H_
