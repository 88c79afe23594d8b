// Mounts a data manager on a server of its own.
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdio>

#include "datamanager/service.h"

int main() {
  auto manager = datamanager::DataManager::Create();
  if (!manager.ok()) return 1;
  const auto service = datamanager::MakeDataManagerService(**manager);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(datamanager::kMaxRequestBytes);
  builder.RegisterService(service.get());
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("serving\n");
  server->Shutdown();
  return (*manager)->Close().ok() ? 0 : 1;
}
