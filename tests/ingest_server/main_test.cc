// The program: what it prints, and how it ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/ingest_server/client.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

using datamanager::testing::CertificateAuthority;
using datamanager::testing::CertificateFiles;
using datamanager::testing::ForClient;
using datamanager::testing::ForHosts;
using datamanager::testing::OwnLoopback;
using datamanager::testing::ReadFile;

// The program under way, with its two outputs in one pipe.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    output_ = fdopen(ends[0], "r");
    const datamanager::UniqueFd theirs(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    arguments.insert(arguments.begin(), INGEST_SERVER_PATH);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&pid_, INGEST_SERVER_PATH, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Program() { fclose(output_); }

  std::string ReadLine() {
    char line[4096];
    if (fgets(line, sizeof(line), output_) == nullptr) return "";
    said_ += line;
    return line;
  }

  void Signal(int signal) { kill(pid_, signal); }

  // Waits for its end; yields the exit code, or -1 if it ended otherwise.
  int ExitCode() {
    std::string line;
    while (!(line = ReadLine()).empty()) rest_ += line;
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // What it had to say that was not read.
  const std::string& rest() const { return rest_; }
  // All that was read.
  const std::string& said() const { return said_; }

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
  std::string rest_;
  std::string said_;
};

class MainTest : public ::testing::TestWithParam<int> {
 protected:
  std::string Store() const { return temp_.path() + "/store"; }

  const datamanager::testing::TempDir temp_;
};

TEST_P(MainTest, PrintsItsPortAndEndsCleanlyOnASignal) {
  Program program({"--listen", "127.0.0.1:0", "--store", Store(), "--print-port"});
  const std::string line = program.ReadLine();
  EXPECT_TRUE(std::regex_match(line, std::regex("[0-9]+\n"))) << line;
  program.Signal(GetParam());
  EXPECT_EQ(program.ExitCode(), 0) << program.rest();
  EXPECT_TRUE(program.rest().ends_with("ingest_server: stopped\n")) << program.rest();
}
INSTANTIATE_TEST_SUITE_P(Signals, MainTest, ::testing::Values(SIGTERM, SIGINT));

TEST_F(MainTest, HelpIsNoError) {
  Program program({"--help"});
  EXPECT_EQ(program.ExitCode(), 0);
  EXPECT_PRED_FORMAT2(::testing::IsSubstring,
                      "Usage: ingest_server --listen ADDR --store DIR [OPTION]...", program.rest());
}

TEST_F(MainTest, WrongFlagsAreExitCode2) {
  Program program({"--listen", "127.0.0.1:0", "--store", Store(), "--fail", "stal=0.1"});
  EXPECT_EQ(program.ExitCode(), 2);
  EXPECT_EQ(
      program.rest(),
      "ingest_server: --fail: \"stal=0.1\": there is no fault \"stal\"; did you mean \"stall\"?\n"
      "Try ingest_server --help.\n");
}

TEST_F(MainTest, PortInUseIsExitCode1) {
  Program first({"--listen", "127.0.0.1:0", "--store", Store(), "--print-port"});
  std::string address = "127.0.0.1:" + first.ReadLine();
  address.pop_back();
  Program second({"--listen", address, "--store", Store()});
  EXPECT_EQ(second.ExitCode(), 1);
  EXPECT_EQ(second.rest(), "ingest_server: listen on " + address + ": Address already in use\n");
  first.Signal(SIGTERM);
  EXPECT_EQ(first.ExitCode(), 0);
}

TEST_F(MainTest, UnusableStoreIsExitCode1) {
  Program program({"--listen", "127.0.0.1:0", "--store", "/proc/store"});
  EXPECT_EQ(program.ExitCode(), 1);
  EXPECT_PRED_FORMAT2(::testing::IsSubstring,
                      "ingest_server: create directory /proc/store: ", program.rest());
}

TEST_F(MainTest, SighupRevokesWhatIsGoneFromTheFile) {
  const std::string file = temp_.path() + "/credentials.json";
  datamanager::testing::WriteFile(file, R"({"api_keys": [{"id": "k1", "key": "sesame"}]})");
  Program program({"--listen", OwnLoopback(0), "--store", Store(), "--print-port", "--credentials",
                   file, "--token-lifetime", "1h"});
  EXPECT_EQ(program.ReadLine(),
            "ingest_server: warning: others may read " + file + ": chmod 600 " + file + "\n");
  const int port = std::stoi(program.ReadLine());
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "listening on", program.ReadLine());

  Client client(OwnLoopback(port));
  std::string token;
  EXPECT_EQ(client.Authenticate("api-key", "k1", "mellon", token).error_message(),
            "invalid credentials");
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "not authenticated: ipv4:", program.ReadLine());
  EXPECT_TRUE(client.Authenticate("api-key", "k1", "sesame", token).ok());
  client.set_token(token);
  EXPECT_TRUE(client.UploadBinary("x").ok());

  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  datamanager::testing::WriteFile(file, "sesame");
  program.Signal(SIGHUP);
  EXPECT_EQ(program.ReadLine(),
            "ingest_server: credentials not read again, the former ones stay: " + file +
                ": not valid JSON at line 1, column 1\n");
  EXPECT_TRUE(client.UploadBinary("x").ok());

  datamanager::testing::WriteFile(file, R"({"api_keys": []})");
  program.Signal(SIGHUP);
  EXPECT_EQ(program.ReadLine(), "ingest_server: credentials read again: 0\n");
  EXPECT_EQ(client.UploadBinary("x").error_code(), grpc::StatusCode::UNAUTHENTICATED);

  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
  for (const std::string& secret : {std::string("sesame"), std::string("mellon"), token}) {
    EXPECT_EQ(program.said().find(secret), std::string::npos) << program.said();
  }
}

// The file is a FIFO, so that the server reads it for as long as the test keeps it open.
TEST_F(MainTest, ASighupWhileCredentialsAreReadHasThemReadAgain) {
  const std::string file = temp_.path() + "/credentials.json";
  datamanager::testing::WriteFile(file, R"({"api_keys": [{"id": "k1", "key": "sesame"}]})");
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  Program program({"--listen", OwnLoopback(0), "--store", Store(), "--credentials", file});
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "listening on", program.ReadLine());
  std::filesystem::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  program.Signal(SIGHUP);
  // A second one may otherwise arrive together with the first. This waits for the reader.
  datamanager::UniqueFd writer(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  for (int i = 0; i < 2; ++i) {
    program.Signal(SIGHUP);
    EXPECT_EQ(program.ReadLine(),
              "ingest_server: credentials are still being read; they will be read again "
              "afterwards\n");
  }
  const std::string one = R"({"api_keys": [{"id": "k1", "key": "sesame"}]})";
  ASSERT_EQ(::write(writer.get(), one.data(), one.size()), static_cast<ssize_t>(one.size()));
  writer.Reset();
  EXPECT_EQ(program.ReadLine(), "ingest_server: credentials read again: 1\n");
  datamanager::testing::WriteFile(file, R"({"api_keys": []})");
  EXPECT_EQ(program.ReadLine(), "ingest_server: credentials read again: 0\n");
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST_F(MainTest, SighupWithoutCredentialsIsNoEnd) {
  Program program({"--listen", OwnLoopback(0), "--store", Store()});
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "listening on", program.ReadLine());
  program.Signal(SIGHUP);
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "there is no file of credentials",
                      program.ReadLine());
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST_F(MainTest, ServesTlsToThoseWithACertificate) {
  const CertificateAuthority ca(temp_.path(), "ca");
  const CertificateFiles own = ca.Issue("server", ForHosts({OwnLoopback()}));
  const CertificateFiles theirs = ca.Issue("client", ForClient());
  Program program({"--listen", OwnLoopback(0), "--store", Store(), "--print-port",
                   "--tls-certificate", own.certificate, "--tls-key", own.key, "--client-ca",
                   ca.certificate()});
  const std::string address = OwnLoopback(std::stoi(program.ReadLine()));
  const auto upload = [&](const std::string& key, const std::string& certificate) {
    return Client(address, grpc::SslCredentials({ReadFile(ca.certificate()), key, certificate}))
        .UploadBinary("x")
        .error_code();
  };
  EXPECT_EQ(upload(ReadFile(theirs.key), ReadFile(theirs.certificate)), grpc::StatusCode::OK);
  EXPECT_EQ(upload("", ""), grpc::StatusCode::UNAVAILABLE);
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST_F(MainTest, WrongFilesAreExitCode1) {
  const std::string none = temp_.path() + "/none";
  const CertificateFiles own =
      CertificateAuthority(temp_.path(), "ca").Issue("server", ForHosts({OwnLoopback()}));
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"--credentials", none},
           {"--tls-certificate", none, "--tls-key", own.key},
           {"--tls-certificate", own.certificate, "--tls-key", none},
           {"--tls-certificate", own.certificate, "--tls-key", own.key, "--client-ca", none}}) {
    std::vector<std::string> arguments = {"--listen", OwnLoopback(0), "--store", Store()};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    Program program(arguments);
    EXPECT_EQ(program.ExitCode(), 1);
    EXPECT_EQ(program.rest(), "ingest_server: open " + none + ": No such file or directory\n");
  }
}

}  // namespace
}  // namespace ingest
