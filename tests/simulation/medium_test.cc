// The model of a medium itself.
#include "tests/simulation/medium.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace datamanager::simulation {
namespace {

using Kind = Change::Kind;

// A file is made in a new directory, written twice, flushed, renamed, and its directory flushed; it
// is removed, and the directory above flushed.
const std::vector<Change> kChanges = {
    {.kind = Kind::kMkdir, .path = "/t/d"},                                       // 0
    {.kind = Kind::kCreate, .object = 1, .path = "/t/d/a.prog"},                  // 1
    {.kind = Kind::kWrite, .object = 1, .offset = 0, .data = "abcd"},             // 2
    {.kind = Kind::kWrite, .object = 1, .offset = 4, .data = "efgh"},             // 3
    {.kind = Kind::kSyncFile, .object = 1},                                       // 4
    {.kind = Kind::kRename, .object = 1, .path = "/t/d/a.prog", .to = "/t/d/a"},  // 5
    {.kind = Kind::kSyncDirectory, .path = "/t/d"},                               // 6
    {.kind = Kind::kUnlink, .object = 1, .path = "/t/d/a"},                       // 7
    {.kind = Kind::kSyncDirectory, .path = "/t"},                                 // 8
};

// "name=contents ..."
std::string After(size_t count, const std::map<size_t, Misfortune>& misfortunes = {}) {
  const Image image = AfterPowerCut({.directories = {"/t"}}, kChanges, count, misfortunes);
  std::string text;
  for (const auto& [path, object] : image.names) {
    std::string bytes = image.contents.contains(object) ? image.contents.at(object) : "";
    for (char& byte : bytes) byte = byte == '\0' ? '0' : byte;
    absl::StrAppend(&text, text.empty() ? "" : " ", path.substr(3), "=", bytes);
  }
  return text;
}

TEST(Medium, KeepsWhatIsFlushed) {
  using Indices = std::vector<size_t>;
  EXPECT_EQ(Unflushed(kChanges, 0), Indices());
  EXPECT_EQ(Unflushed(kChanges, 4), Indices({0, 1, 2, 3}));
  EXPECT_EQ(Unflushed(kChanges, 5), Indices({0, 1}));
  EXPECT_EQ(Unflushed(kChanges, 6), Indices({0, 1, 5}));
  EXPECT_EQ(Unflushed(kChanges, 7), Indices({0}));
  EXPECT_EQ(Unflushed(kChanges, 8), Indices({0, 7}));
  EXPECT_EQ(Unflushed(kChanges, 9), Indices({7}));
}

TEST(Medium, KeepsTheOrderOfAJournal) {
  using Indices = std::vector<size_t>;
  const std::vector<Change> changes = {
      {.kind = Kind::kCreate, .object = 1, .path = "/t/a.prog"},                // 0
      {.kind = Kind::kWrite, .object = 1, .offset = 0, .data = "abcd"},         // 1
      {.kind = Kind::kCommit},                                                  // 2
      {.kind = Kind::kCreate, .object = 2, .path = "/t/b.prog"},                // 3
      {.kind = Kind::kWriteBack, .object = 1},                                  // 4
      {.kind = Kind::kRename, .object = 1, .path = "/t/a.prog", .to = "/t/a"},  // 5
      {.kind = Kind::kWrite, .object = 2, .offset = 0, .data = "efgh"},         // 6
  };
  EXPECT_EQ(LeastJournalEnd(changes, 1), 0U);
  EXPECT_EQ(LeastJournalEnd(changes, 7), 1U);
  // The journal ends with the rename: what was written back before it is there.
  EXPECT_EQ(Unflushed(changes, 7, 6), Indices({6}));
  EXPECT_EQ(LostBehindJournal(changes, 7, 6), (std::map<size_t, Misfortune>()));
  // It ends before the write-back: the data may be lost, and the rename is.
  EXPECT_EQ(Unflushed(changes, 7, 4), Indices({1, 5, 6}));
  EXPECT_EQ(LostBehindJournal(changes, 7, 4),
            (std::map<size_t, Misfortune>{{5, Misfortune::kLost}}));
}

TEST(Medium, KeepsWhatACommitOfTheJournalFollows) {
  using Indices = std::vector<size_t>;
  const std::vector<Change> changes = {
      {.kind = Kind::kCreate, .object = 1, .path = "/t/a"},                // 0
      {.kind = Kind::kWrite, .object = 1, .offset = 0, .data = "abcd"},    // 1
      {.kind = Kind::kWriteBack, .object = 1},                             // 2
      {.kind = Kind::kWrite, .object = 1, .offset = 4, .data = "efgh"},    // 3
      {.kind = Kind::kCommit},                                             // 4
      {.kind = Kind::kRename, .object = 1, .path = "/t/a", .to = "/t/b"},  // 5
      {.kind = Kind::kSyncAll},                                            // 6
  };
  EXPECT_EQ(Unflushed(changes, 4), Indices({0, 1, 3}));
  EXPECT_EQ(Unflushed(changes, 5), Indices({3}));
  EXPECT_EQ(Unflushed(changes, 6), Indices({3, 5}));
  EXPECT_EQ(Unflushed(changes, 7), Indices());
}

TEST(Medium, WithoutMisfortunesIsAsTheDiskWas) {
  EXPECT_EQ(After(2), "d/a.prog=");
  EXPECT_EQ(After(4), "d/a.prog=abcdefgh");
  EXPECT_EQ(After(6), "d/a=abcdefgh");
  EXPECT_EQ(After(8), "");
}

TEST(Medium, LosesWrites) {
  EXPECT_EQ(After(4, {{3, Misfortune::kLost}}), "d/a.prog=abcd");
  EXPECT_EQ(After(4, {{2, Misfortune::kLost}}), "d/a.prog=0000efgh");
  EXPECT_EQ(After(4, {{3, Misfortune::kZeroed}}), "d/a.prog=abcd0000");
  EXPECT_EQ(After(4, {{3, Misfortune::kHalfZeroed}}), "d/a.prog=abcdef00");
  EXPECT_EQ(After(4, {{3, Misfortune::kTorn}}), "d/a.prog=abcdef");
  EXPECT_EQ(After(4, {{2, Misfortune::kTorn}}), "d/a.prog=ab00efgh");
}

TEST(Medium, LosesNames) {
  EXPECT_EQ(After(4, {{0, Misfortune::kLost}}), "");
  EXPECT_EQ(After(4, {{1, Misfortune::kLost}}), "");
  EXPECT_EQ(After(6, {{5, Misfortune::kLost}}), "d/a.prog=abcdefgh");
  EXPECT_EQ(After(6, {{1, Misfortune::kLost}}), "d/a=abcdefgh");
  EXPECT_EQ(After(6, {{1, Misfortune::kLost}, {5, Misfortune::kLost}}), "");
  EXPECT_EQ(After(8, {{7, Misfortune::kLost}}), "d/a=abcdefgh");
}

TEST(Medium, ChangesNamesLate) {
  EXPECT_EQ(After(6, {{1, Misfortune::kLate}}), "d/a=abcdefgh");
  EXPECT_EQ(After(6, {{5, Misfortune::kLate}}), "d/a=abcdefgh");
  // The removal finds no such name.
  EXPECT_EQ(After(8, {{5, Misfortune::kLate}}), "d/a=abcdefgh");
}

TEST(Medium, TellsDisksApart) {
  const Image whole = AfterPowerCut({.directories = {"/t"}}, kChanges, 4, {});
  const Image same = AfterPowerCut({.directories = {"/t"}}, kChanges, 5, {});
  const Image shorter = AfterPowerCut({.directories = {"/t"}}, kChanges, 3, {});
  const Image renamed = AfterPowerCut({.directories = {"/t"}}, kChanges, 6, {});
  EXPECT_EQ(Fingerprint(whole), Fingerprint(same));
  EXPECT_NE(Fingerprint(whole), Fingerprint(shorter));
  EXPECT_NE(Fingerprint(whole), Fingerprint(renamed));
}

}  // namespace
}  // namespace datamanager::simulation
