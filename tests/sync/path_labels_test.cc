#include "sync/path_labels.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

TEST(LabelsOfPathTest, Table) {
  const struct {
    const char* what;
    std::string path;
    std::vector<std::string> config_tags;
    std::string tags;
    std::string dataset_ids;
  } kCases[] = {
      {"none", "/data/dir/file.txt", {}, "", ""},
      {"the config's tags", "/data/dir/file.txt", {"one", "two"}, "one,two", ""},
      {"a tag", "/data/tag=red/file.txt", {}, "red", ""},
      {"several tags", "/data/tag=red/x/tag=blue/file.txt", {}, "red,blue", ""},
      {"a dataset", "/data/dataset=d1/file.txt", {}, "", "d1"},
      {"both", "/tag=red/dataset=d1/dataset=d2/tag=blue/f", {"one"}, "one,red,blue", "d1,d2"},
      {"the base name is ignored", "/data/tag=red/tag=blue", {}, "red", ""},
      {"the base name is ignored", "/data/dataset=d1", {}, "", ""},
      {"trimmed", "/data/tag= red \t/dataset= d1/file", {" one "}, "one,red", "d1"},
      {"empty", "/data/tag=/tag=  /dataset=/file", {""}, "", ""},
      {"each once",
       "/tag=red/tag=one/tag=red/dataset=d/dataset=d/f",
       {"one", "one"},
       "one,red",
       "d"},
      {"the value has an equals sign", "/data/tag=a=b/file", {}, "a=b", ""},
      {"not at the segment's beginning", "/data/xtag=red/mydataset=d/file", {}, "", ""},
      {"case counts", "/data/Tag=red/DATASET=d/file", {}, "", ""},
      {"no slash", "tag=red", {}, "", ""},
      {"relative", "tag=red/file", {}, "red", ""},
      {"nothing", "", {}, "", ""},
  };
  for (const auto& test : kCases) {
    const UploadLabels labels = LabelsOfPath(test.path, test.config_tags);
    EXPECT_EQ(Join(labels.tags, ","), test.tags) << test.what << ": " << test.path;
    EXPECT_EQ(Join(labels.dataset_ids, ","), test.dataset_ids) << test.what << ": " << test.path;
  }
}

}  // namespace
}  // namespace datamanager::sync
