(function executeRule(current, previous) {
    new HitlRule().afterChange(current, previous);
})(current, previous);
