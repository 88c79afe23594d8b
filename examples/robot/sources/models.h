// The kinds of component that the robot has built in, one file each.
//
// A factory reads its attributes, and leaves faults with them; what it returns then is not used.
// Rates are null in a source's first reading, and after the kernel's counter was reset.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_MODELS_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_MODELS_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "datamanager/source.h"
#include "robot/sources/attributes.h"

namespace robot {

// Wraps an object with `absl::Status Read(Readings&)`, which the source owns. Clients of the robot
// and its collector may ask at once; they take turns.
template <typename Sensor>
datamanager::SourceFunction ReadingsFrom(std::shared_ptr<Sensor> sensor) {
  return datamanager::ReadingsSource(
      [sensor = std::move(sensor), turn = std::make_shared<std::mutex>()](
          const datamanager::CaptureRequest&, datamanager::Readings& out) {
        const std::lock_guard lock(*turn);
        return sensor->Read(out);
      });
}

// Use of the processors in percent, in all and by processor, and the load averages. Use is measured
// over 50 ms or more; a reading before that repeats the last one, and the first tells the average
// since boot.
datamanager::SourceFunction MakeHostCpu(Attributes& attributes);

// Memory and swap, in bytes.
datamanager::SourceFunction MakeHostMemory(Attributes& attributes);

// By interface: bytes, packets, errors and drops each way since boot, and bytes per second.
datamanager::SourceFunction MakeHostNetwork(Attributes& attributes);

// Space on the file system that holds `path`, and what was read from and written to its device
// where the kernel tells.
datamanager::SourceFunction MakeHostDisk(Attributes& attributes);

// All temperatures that the machine has at start, in degrees Celsius; null for one that cannot be
// read at the moment. A machine without any reports zero zones.
datamanager::SourceFunction MakeHostThermal(Attributes& attributes);
// The same from a copy of /sys/class.
datamanager::SourceFunction MakeHostThermalAt(const std::string& sys_class);

// PNG pictures that say on themselves, in a tEXt chunk and in their source name that they are
// simulated, and carry a number that grows. `frame_bytes` pads them to an exact encoded size, or to
// several in turn.
datamanager::SourceFunction MakeSimulatedCamera(Attributes& attributes);

// `run`, random for each source, and `seq`, counting from 1. Before a reading is returned, the line
// "<run> <seq>\n" is in the file `journal`, so that the data that arrives can be audited against
// it. A tick that cannot be journalled fails, and the next one takes its number.
datamanager::SourceFunction MakeCounter(Attributes& attributes);

// What the JSON object in the file `path` says at the moment: a sensor that somebody else, or a
// script, can be.
datamanager::SourceFunction MakeFileReadings(Attributes& attributes);

// Gives `lines`: those appended to the file `path` since the last reading; see FileTail. No record
// if there are none. A line longer than 64 KiB is split. Each byte that is not UTF-8 becomes U+FFFD
// and counts in `replaced_bytes`. Only if not zero: `gap_bytes`, overwritten before they were read;
// `nul_bytes`, skipped in holes of a file; `backlog_bytes`, still to be read. `state` is the file
// for its position; with `from` "start", lines that are there at the first start are new, too.
datamanager::SourceFunction MakeFileTail(Attributes& attributes);

// Adds all that can be captured of a component or service that the server at `address` has, under
// `name` if it is called otherwise there; a call may take `timeout_ms`. See RemoteSource.
void AddRemote(const datamanager::ComponentConfig& component, Attributes& attributes,
               datamanager::Sources& sources);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_MODELS_H_
