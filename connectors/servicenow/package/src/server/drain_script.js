new HitlDrain().run();
