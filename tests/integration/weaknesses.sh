#!/usr/bin/env bash
# The faults of the reference, and the tests that show that the same situation goes well here. Checks
# that every row names a test or says why not, and that every test named exists. `-` stands before such
# a remark: what is not built yet, what no test shows, what stays as it is there.
# Usage: weaknesses.sh SOURCE_DIRECTORY
set -euo pipefail

table=$(cat <<'ROWS'
Loss and damage
  .prog left by a crash stays for ever | LeftBehindTest.WhatAKilledProcessLeftIsUploadedByTheNext KeeperTest.RecoversWhatDeadProcessesLeft ProcessesTest.OnlyTheFilesOfTheDeadAreTaken
  nothing is flushed to the medium | KeeperTest.FlushesThenRenamesThenFlushesTheDirectory KeeperOfLiveFilesTest.AreFlushedDataThenNameThenDirectories PowerLoss.LeavesWhatWasPromised PowerLoss.LeavesWhatWasFlushedInProgress
  offline, buffered records die with the process | WriterTest.WritesEachRecordAtOnce CaptureAndSyncTest.WhileTheServerIsAwayCaptureGoesOnAndAllArrivesWhenItIsBack
  the queue is not drained by Close or Flush | CaptureTest.CloseLeavesNothingInProgress CaptureTest.FlushPublishesEveryOpenFile CollectorTest.WritesWhatTheSourceReturnsAfterTheStop
  the first write error ends the writer | DiskFaultTest.IsOutlived CollectorTest.AFullDiskCostsTheRecordsThatItHasNoRoomFor
  a failed create, write or flush leaks a descriptor and leaves a .prog | FaultSweepPart.NoFaultOfTheDiskBreaksARule FaultSweep.FindsADescriptorThatIsLeftOpen
  colliding names merge or replace files | WriterTest.TakesTheNextFreeMicrosecond WriterTest.PublishesOverNobody ClockJumpTest.NeverOverwritesAFile
  failed/ is overwritten | LocalFileTest.SettingAsideNeverOverwrites FailedFilesTest.NeverOverwrites
  `:` in capture_dir: capture and sync use different paths | PathAttackTest.CaptureDirectoryWithAColonAndSpaces
  a cut tabular file is deleted after its good part was uploaded | UploadWorkerTest.CutFile_LosesOnlyTheRecordThatWasNeverFinished UploadWorkerTest.GarbageBehindRecords_IsKeptAndNeverComesBack BadFileTest.GarbageBehindWholeRecords_IsKept BadFileTest.DamagedInsideARecord_AllOthersArrive
  a cut picture is uploaded as if whole | BadFileTest.ACutPictureIsKeptAndNotSent
  a zero-filled tail reads as empty records | UploadWorkerTest.ZeroFilledTail_IsDropped ReaderTest.TakesAZeroFilledTailForNoRecords UploadCaptureFileTest.AZeroFilledTailIsNoRecord RecoveryTest.CutsBeforeARecordWithZerosInside_AndKeepsWhatFollows
  a corrupt length allocates 32 GiB | ReaderTest.BelievesNoLengthThatTheFileCannotHold UploadCaptureFileTest.AHugeLengthBehindARecordEndsTheFileThere
  a file changed or replaced during its upload is deleted | UploadWorkerTest.ChangedDuringTheUploadItStaysAndIsUploadedAgain UploadWorkerTest.ReplacedDuringTheUploadTheNewOneStaysAndIsUploaded UploadWorkerTest.OpenedForWritingDuringItsUploadItIsNotRemoved FaultSweep.FindsThatAChangedFileIsRemoved
  an interrupted dataset upload is found by nobody | DatasetUploadTest.ACancelledCallLeavesItToTheBackground DatasetUploadTest.ARestartUploadsWhatWaitedWithTheSameLabels
  a changed capture dir strands open sequences | CaptureControlTest.WithoutTheSensorOrInAnotherDirectorySequencesEnd SequencesTest.AnotherCaptureDirectoryEndsThemInTheOldOne
  one bad control reading ends all sequences | CaptureControlTest.ABrokenReadingIsToldOnceAndTheLastGoodOneHoldsForTenSeconds CaptureControlTest.OfAReadingTheHalfThatMakesSenseCounts
  the deleter takes any name with .capture in it | RetentionTest.OnlyWhatCaptureHasPublishedIsACandidate
  the deleter takes failed/ like the rest | RetentionTest.WhatWasSetAsideGoesFirst
  an error in the size walk cancels deletion | RetentionTest.WhatCannotBeReadDoesNotEndDeletion
Duplicates
  no key: a lost reply, a crash or a failed removal stores twice | BadServerTest.EveryLostAnswerIsARepeatWithTheSameKey CaptureAndSyncTest.ALostReplyAndANewProcessStoreOnce FaultSweep.FindsThatNoKeyIsSent
  a failed removal uploads again on every walk | PathAttackTest.UploadsResumeWhenThePermissionComesBack WalkTest.ADirectoryThatNothingCanBeRemovedFromIsPassedOver
  a retry resends payloads already accepted | UploadWorkerTest.AResumedFileSendsNoRequestTwice UploadCaptureFileTest.ResumesFromTheFirstUnacknowledgedRequest
  uploads from a path bypass the tracker | PathUploadTest.AFileThatAPassHasIsUploadedOnce
  two spellings of a path upload a file twice | WalkTest.OverlappingRootsAreWalkedOnceWhateverTheOrder OrderTest.AHintBelowALinkToTheCaptureDirectoryIsTheFileThatIsWalked
  of two equal collector entries one is never closed | CollectorsTest.OfEqualEntriesTheFirstStays
  old and new collector overlap in one directory | CaptureTest.NeverCallsASourceTwiceAtOnceHoweverOftenItIsRestarted CaptureControlTest.ChangesAFrequencyAndLeavesTheOthersAlone
Stalls
  one core gives no worker | SyncConfigTest.HasAtLeastOneWorker
  backing-off workers hold their slots | FairnessTest.AnyNumberOfFailingFilesCostTheHealthyNothingButTheirTries SchedulerTest.SlowBadFilesDoNotHoldUpTheOthers
  no jitter in the retries | RetryDelayTest.JitterIsFull
  calls have no deadline | StreamTest.GivesUpOnAServerThatStopsReading StreamTest.GivesUpOnAServerThatNeverReplies UnaryTest.EndsAtItsDeadline HalfOpenTest.IsFoundWithoutAnyCall
  a file removed or emptied meanwhile is retried for ever | UploadArbitraryFileTest.RemovedMeanwhileItIsGone UploadWorkerTest.RemovedDuringTheUploadIsAsGood
  a directory behind a link, a name that is not UTF-8 are retried for ever | PathAttackTableTest.HarmsNothing UploadArbitraryFileTest.ANameThatIsNotUtf8IsRefusedWithAReason
  a bad varint is retried for ever | UploadWorkerTest.WhatCannotBeReadIsSetAside BadFileTest.GarbageIsSetAsideAndTheOthersFlow
  PERMISSION_DENIED and read errors are retried for ever | UploadWorkerTest.EveryOtherCodeIsTransient UploadCaptureFileTest.AReadErrorIsTheDisks - they are here, too, beside the others and at last an hour apart
  a tabular request over the server's limit is retried for ever | UploadCaptureFileTest.RequestsStayBelow4MiB BadSourceTest.ReadingsThatNoServerAcceptsAreRefusedWhenCaptured
  a stream rejected early never shows its status | StreamTest.TellsWhyTheServerEndedItEarly UploadCaptureFileTest.AServerThatEndsTheStreamEarlyIsHeard
  a stream given up stays open | StreamTest.IsCancelledByItsEnd
  links are followed, a FIFO blocks a worker | PathAttackTableTest.HarmsNothing PathAttackTest.SwapRace LocalFileTest.WhatIsNoRegularFileAnyLongerIsNotFoundAndNotWaitedFor
  a linked root is sent as a file | WalkTest.ARootThatIsALinkIsResolved
  Sync holds a lock: Close and Reconfigure wait | CloseTest.IsFastWhileUploadsHangAndEndsCallsOfSync SyncCallTest.AReconfigureOfSyncEndsItAndUploadsAnew
  Reconfigure walks the disk under the lock | DiskTest.ALookThatHangsHoldsUpNoReconfigure
  closing a collector waits for its source | CaptureTest.CloseNamesTheSourceThatHangs CaptureTest.ReconfigureGivesUpOnASourceThatHangs
  an unreachable Mongo stalls the writer | EffectiveConfigTest.WhatHasNoEffectIsWarnedAbout - there is no such writer
  an IDLE channel is asked by nobody to connect | ConnectionTest.ScheduledSyncWakesAnIdleChannel ConnectivityTest.WaitUntilReadyWakesAnIdleChannel
  a future mtime is never ready | FileAgesTest.AFileOfTheFutureIsAgedFromWhenItWasFirstSeen OrderTest.AFileOfTheFutureIsUploadedOnceItHasBeenSeenLongEnough
  user directories named failed, sequences, ... are never synced | WalkTest.DirectoriesOfOthersAreOffLimitsBelowEachRootOnly SequenceTest.OpenOnesAndOtherFilesOfThatDirectoryStay
  a capture file outside the capture dir climbs out of failed/ | LocalFileTest.SetsAsideWithItsPathBelowTheRoot LocalFileTest.SetsAsideAcrossFileSystemsByACopy
  the control tick starts refused collectors, or panics | CaptureControlTest.NothingThatTheConfigRefusesIsStarted OverridesTest.NothingEnablesWhatIsAtFault
Wrong replies, leaks, races, noise
  a dataset upload says OK when it failed | DatasetUploadTest.AFailureIsTheServersAndIsTriedAgain DatasetUploadTest.WithoutACloudNothingIsWritten DatasetUploadTest.WhatMakesNoSenseIsRefusedAndNotWritten
  the client leaves the resource name out | ServiceTest.AnUploadIsOkOnceItIsStoredWithItsLabels
  Sync says OK though uploads fail | SyncTest.KUploadedTellsOfRefusals SyncTest.KUploadedWaitsForRetries
  results of UploadDataFromPath are dropped on an error, Close does not wait for it | PathUploadTest.AConnectionThatIsLostMeanwhileEndsItWithTheCounts PathUploadTest.ClosingEndsIt
  deleted paths stay marked as in use | RetentionTest.WhatAnUploadHasIsPassedOver
  an error in the deleter loses its count | RetentionTest.WhatCannotBeRemovedIsSaidAndTheNextGoesInItsPlace
  the map of logged errors grows without bound | RepeatFilterTest.ForgetsTheOldestOfManyTexts
  connection fields are read without synchronisation | CloseTest.UnderCallsOfEveryKind - under ThreadSanitizer
  capture_buffer_size has no effect | CollectorsTest.SettingsAreEqualIfEveryFieldIs WriterTest.WritesEachRecordAtOnce - there is no buffer
  capture_dir's threshold is a share of the file system, not of what is used | RetentionTest.EndsAtTheCaptureDirectorysThreshold - stays so
  the disk usage told may be another volume's | DiskSummaryTest.EachDirectoryTellsOfItsOwnVolume
  failed/ keeps the stale-data warning alive | DiskSummaryTest.WhatWasSetAsideIsNotStale
  an unreadable capture file counts as tabular | UploadWorkerTest.WhatCannotBeReadIsSetAside
  bytes uploaded include repeats | UploadWorkerTest.CountsWhatItDoes
  untrusted mode leaves additional_sync_paths free | - no test: stays so
  a line each second while connecting | ConnectivityTest.TellsOfAServerThatComesGoesAndComesBack
  the control and the selective sensor log each tick | CaptureControlTest.ABrokenReadingIsToldOnceAndTheLastGoodOneHoldsForTenSeconds SelectiveSyncTest.WhatIsNotKnownIsANoThatIsToldOnce
  one short name in two APIs is taken at random | OverridesTest.OneNameInTwoApisIsNeverTakenAtRandom
ROWS
)

tests=$(cat "$1"/tests/*/*.cc |
  perl -0ne 'print "$1.$2\n" while /\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)/g' | sort -u)
rows=0
missing=0
while IFS='|' read -r fault proof; do
  [[ $fault == "  "* ]] || continue  # A heading.
  rows=$((rows + 1))
  if [[ $proof != *[![:space:]]* ]]; then
    echo "nothing is said of:$fault" >&2
    missing=$((missing + 1))
  fi
  for name in ${proof%% - *}; do
    if ! grep -qxF "$name" <<<"$tests"; then
      echo "there is no test $name, which is to show:$fault" >&2
      missing=$((missing + 1))
    fi
  done
done <<<"$table"
echo "$rows faults, $missing proofs missing"
((rows > 0 && missing == 0))
