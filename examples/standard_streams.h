// The standard streams of a program that was started without some of them.
#ifndef DATAMANAGER_EXAMPLES_STANDARD_STREAMS_H_
#define DATAMANAGER_EXAMPLES_STANDARD_STREAMS_H_

#include <fcntl.h>
#include <unistd.h>

// Opens /dev/null in the place of each standard stream that is closed, so that no file or socket
// gets its number and receives what the program prints. To be called first in main().
inline void OpenClosedStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    // The lowest free number is this one.
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

#endif  // DATAMANAGER_EXAMPLES_STANDARD_STREAMS_H_
