// Losing a reply on purpose.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_BREAK_CONNECTION_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_BREAK_CONNECTION_H_

#include <string>

namespace ingest {

// Shuts down this process's end of the TCP connection whose other end is `peer`, as
// grpc::ServerContext::peer() has it: all its calls end, and no answer gets through any more. gRPC
// itself can only end a call in an orderly way. False if there is no such connection, as with a
// unix socket, whose peers have no names.
bool BreakConnection(const std::string& peer);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_BREAK_CONNECTION_H_
