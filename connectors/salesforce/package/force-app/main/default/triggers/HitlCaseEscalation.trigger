// Escalates Cases as they turn into a request for a person; what counts as one is in HitlHubPublisher.
trigger HitlCaseEscalation on Case(after insert, after update) {
    HitlHubPublisher.onCases(Trigger.new, Trigger.oldMap);
}
