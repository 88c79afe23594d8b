#include "sync/upload_error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/strings.h"

namespace datamanager::sync {
namespace {

using Code = absl::StatusCode;

constexpr int kCodes = 17;  // OK to UNAUTHENTICATED.

UploadError Error(int code, ErrorOrigin origin, bool ready, bool stopped) {
  return {.status = absl::Status(static_cast<Code>(code), "text"),
          .origin = origin,
          .channel_ready = ready,
          .stopped = stopped};
}

std::string Describe(const UploadError& error) {
  return absl::StatusCodeToString(error.status.code()) +
         (error.origin == ErrorOrigin::kServer ? " server" : " file") +
         (error.channel_ready ? " ready" : " not-ready") + (error.stopped ? " stopped" : "");
}

// Every code, origin, channel state and stop.
TEST(JudgeTest, EveryCase) {
  for (int code = 0; code < kCodes; ++code) {
    for (const bool ready : {false, true}) {
      for (const bool stopped : {false, true}) {
        Verdict server = ready ? Verdict::kTransient : Verdict::kOffline;
        Verdict file = Verdict::kTransient;
        switch (static_cast<Code>(code)) {
          case Code::kOk:
            server = file = Verdict::kStored;
            break;
          case Code::kCancelled:
            if (stopped) server = file = Verdict::kStopped;
            break;
          case Code::kInvalidArgument:
            server = Verdict::kRefused;
            break;
          case Code::kNotFound:
            file = Verdict::kGone;
            break;
          case Code::kDataLoss:
            file = Verdict::kRefused;
            break;
          case Code::kUnavailable:
            file = Verdict::kBusy;
            break;
          default:
            break;
        }
        const UploadError from_server = Error(code, ErrorOrigin::kServer, ready, stopped);
        EXPECT_EQ(Judge(from_server), server) << Describe(from_server);
        const UploadError from_file = Error(code, ErrorOrigin::kFile, ready, stopped);
        EXPECT_EQ(Judge(from_file), file) << Describe(from_file);
      }
    }
  }
}

TEST(JudgeTest, OnlyInvalidArgumentAndUnreadableDataAreTerminal) {
  for (int code = 0; code < kCodes; ++code) {
    for (const ErrorOrigin origin : {ErrorOrigin::kServer, ErrorOrigin::kFile}) {
      const UploadError error = Error(code, origin, true, false);
      const bool terminal =
          (origin == ErrorOrigin::kServer && code == int(Code::kInvalidArgument)) ||
          (origin == ErrorOrigin::kFile && code == int(Code::kDataLoss));
      EXPECT_EQ(Judge(error) == Verdict::kRefused, terminal) << Describe(error);

      UploadError wrapped = error;
      wrapped.status = Wrap(Wrap(error.status, "step"), "file");
      EXPECT_EQ(Judge(wrapped), Judge(error)) << Describe(error);
    }
  }
}

TEST(JudgeTest, EveryVerdictHasAName) {
  std::set<std::string> names;
  for (const Verdict verdict :
       {Verdict::kStored, Verdict::kTransient, Verdict::kOffline, Verdict::kRefused, Verdict::kGone,
        Verdict::kBusy, Verdict::kStopped}) {
    names.emplace(VerdictName(verdict));
  }
  EXPECT_EQ(names, (std::set<std::string>{"stored", "transient", "offline", "refused", "gone",
                                          "busy", "stopped"}));
}

}  // namespace
}  // namespace datamanager::sync
