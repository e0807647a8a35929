"""booking/domain"""
