#include "cloud/process_exit.h"

#include <openssl/crypto.h>

namespace datamanager::cloud {

void KeepOpenSslAtExit() { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr); }

}  // namespace datamanager::cloud
