// The standard streams: whoever starts the program may have closed them, or close them while it runs.
#pragma once

#include <string>

namespace saddle {

// First thing in `main`. Descriptors 0 to 2 that are closed are opened on /dev/null: else a file that is
// opened later gets one of them, and what is printed. A pipe that its reader has closed is an error to the
// writer instead of a signal.
void open_streams();

// Exit::io if something that was printed to stdout could not be written.
void flush_output();
std::string unwritable_output(const std::string& reason);  // what that error says

}  // namespace saddle
