// What the server keeps of sequences.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_SEQUENCE_STORE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_SEQUENCE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "ingest_server/database.h"
#include "viam/app/data/v1/data.pb.h"

namespace ingest {

// A row of the view `sequences`.
struct ReceivedSequence {
  std::string part_id;
  std::string start_time;
  std::string end_time;
  std::string tags;       // A JSON array.
  std::string resources;  // A JSON array of "<name> <method>".
  std::string upload_key;
  std::string arrived_at;
};

// Keeps sequences in the `ingest.db` of a store, by a connection of its own. Thread-safe.
class SequenceStore {
 public:
  // The directory must exist.
  static absl::StatusOr<std::unique_ptr<SequenceStore>> Open(const std::string& directory);

  // Durable when it returns its id. What has the key and the content of an earlier one is
  // acknowledged with the id of that one, and not stored. INVALID_ARGUMENT for what is no sequence.
  absl::StatusOr<int64_t> Add(const viam::app::data::v1::CreateSequenceRequest& request,
                              std::string_view key) DM_EXCLUDES(mutex_);

  // In the order of their arrival.
  absl::StatusOr<std::vector<ReceivedSequence>> Rows() const;

 private:
  SequenceStore(std::string path, Database database, Statement find_key, Statement insert)
      : path_(std::move(path)),
        database_(std::move(database)),
        find_key_(std::move(find_key)),
        insert_(std::move(insert)) {}

  absl::StatusOr<int64_t> Insert(const viam::app::data::v1::CreateSequenceRequest& request,
                                 std::string_view key) DM_REQUIRES(mutex_);

  const std::string path_;
  datamanager::Mutex mutex_;
  Database database_ DM_GUARDED_BY(mutex_);
  Statement find_key_ DM_GUARDED_BY(mutex_);
  Statement insert_ DM_GUARDED_BY(mutex_);
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_SEQUENCE_STORE_H_
