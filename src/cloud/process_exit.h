// What happens to OpenSSL when the process ends.
#ifndef DATAMANAGER_SRC_CLOUD_PROCESS_EXIT_H_
#define DATAMANAGER_SRC_CLOUD_PROCESS_EXIT_H_

namespace datamanager::cloud {

// Keeps OpenSSL from freeing its memory in an exit handler. gRPC's threads outlive its last
// channel, and may still use that memory, or free their own share of it a second time, so that a
// process with TLS sometimes aborts at its very end
// (https://github.com/grpc/grpc/issues/38539). gRPC does the same itself from 1.83 on.
//
// Thread-safe. To be called before anything uses OpenSSL; afterwards it has no effect.
void KeepOpenSslAtExit();

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_PROCESS_EXIT_H_
